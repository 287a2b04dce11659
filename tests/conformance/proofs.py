"""The tests that prove what the server offers: key of a row of the conformance page -> tests, below tests/.

Whoever adds an interaction, a modifier, an operation... names here the test that proves it; until then the test of the
page fails. What `search_cases` says of a row is a proof by itself.
"""

from __future__ import annotations

from tests.conformance.search_cases import CASES

_CASES = "conformance/test_search_cases.py::test_it_finds_what_the_specification_says"

_NAMED: dict[str, str] = {
    # Interactions
    "GET <type>/<id>": """
        rest/test_read.py::test_a_read_returns_what_was_created_with_its_version_in_the_headers
        rest/test_read.py::test_a_client_that_holds_the_version_gets_304
        rest/test_read.py::test_reading_what_was_deleted_is_410
        rest/test_read.py::test_head_answers_like_read_without_a_body""",
    "GET <type>/<id>/_history/<version>": """
        rest/test_read.py::test_vread_returns_each_version_and_410_for_the_deletion""",
    "PUT <type>/<id>": """
        rest/test_update.py::test_update_makes_the_next_version
        rest/test_update.py::test_update_with_the_same_content_makes_no_version
        rest/test_update.py::test_if_match_with_another_version_is_412_and_changes_nothing""",
    "PATCH <type>/<id>": """
        rest/test_patch.py::test_a_patch_makes_the_next_version_and_changes_nothing_else
        rest/test_patch.py::test_what_would_be_invalid_or_is_the_servers_is_422_and_changes_nothing""",
    "DELETE <type>/<id>": """
        rest/test_delete.py::test_delete_answers_204_and_the_resource_is_gone""",
    "GET <type>/<id>/_history": """
        rest/test_history_interaction.py::test_instance_history_lists_the_versions_newest_first
        rest/test_history_interaction.py::test_history_since_leaves_older_versions_out""",
    "POST <type>": """
        rest/test_create.py::test_create_answers_201_with_the_resource_and_where_it_is
        rest/test_create.py::test_fifty_parallel_conditional_creates_make_one_resource""",
    "PUT <type>": """
        rest/test_update.py::test_conditional_update_creates_then_updates_the_match
        rest/test_update.py::test_conditional_update_with_several_matches_is_412""",
    "PATCH <type>": """
        rest/test_patch.py::test_conditional_patch_patches_the_one_match""",
    "DELETE <type>": """
        rest/test_delete.py::test_conditional_delete_deletes_the_one_match
        rest/test_delete.py::test_conditional_delete_deletes_every_match_and_nothing_else
        rest/test_delete.py::test_count_bounds_what_a_conditional_delete_may_delete""",
    "GET <type>": """
        rest/test_search_interaction.py::test_a_searchset_holds_the_resources_as_stored
        rest/test_search_interaction.py::test_the_next_links_lead_through_every_match_once
        repository/test_paging.py::test_every_match_that_stays_is_given_once_while_others_come_and_go""",
    "POST <type>/_search": """
        rest/test_search_interaction.py::test_post_search_finds_what_get_finds""",
    "POST _search": "conformance/test_search_cases.py::test_by_post_it_finds_the_same",
    "POST <compartment>/<id>/<type>/_search": "conformance/test_search_cases.py::test_by_post_it_finds_the_same",
    "GET <type>/_history": """
        rest/test_history_interaction.py::test_type_and_system_history_hold_what_belongs_to_them""",
    "GET _history": """
        rest/test_history_interaction.py::test_type_and_system_history_hold_what_belongs_to_them
        rest/test_history_interaction.py::test_history_in_pages_returns_every_version_once""",
    "POST": """
        rest/test_batch.py::test_each_entry_is_carried_out_and_answered_in_its_place
        rest/test_batch.py::test_operations_are_carried_out_in_their_place
        rest/test_transaction_interaction.py::test_a_transaction_resolves_its_references_and_answers_in_order
        rest/test_transaction_interaction.py::test_operations_that_read_come_after_the_writes_and_see_them
        rest/test_transaction_interaction.py::test_a_failing_precondition_fails_the_whole_transaction_and_is_named""",
    "GET metadata": """
        rest/test_capabilities.py::test_it_is_a_valid_statement_of_this_server
        rest/test_capabilities.py::test_every_declared_interaction_does_what_it_is_asked
        rest/test_capabilities.py::test_every_declared_search_parameter_of_every_type_is_taken""",
    # Formats
    **{
        f"format {each}": "rest/test_capabilities.py::test_every_declared_format_is_written_and_read"
        for each in ("application/fhir+json", "json", "application/fhir+xml", "xml")
    },
    **{
        f"patch {each}": "rest/test_capabilities.py::test_every_declared_patch_format_is_taken"
        for each in (
            "application/json-patch+json",
            "application/merge-patch+json",
            "application/json",
            "application/fhir+json",
            "application/fhir+xml",
        )
    },
    # Result parameters
    **{
        f"result {name}": f"conformance/test_result_parameters.py::test_{test}"
        for name, test in {
            "_count": "count_bounds_a_page_and_zero_asks_for_the_total",
            "_sort": "sort_orders_by_several_keys",
            "_total": "total_is_told_as_asked",
            "_summary": "each_summary_shows_what_the_specification_says",
            "_elements": "elements_shows_what_is_named_and_what_is_mandatory",
            "_format": "format_chooses_the_format",
            "_pretty": "pretty_indents",
        }.items()
    },
    # Histories
    "history _since": """
        rest/test_history_interaction.py::test_history_since_leaves_older_versions_out
        rest/test_history_interaction.py::test_at_and_since_are_both_kept_to""",
    "history _at": """
        rest/test_history_interaction.py::test_at_a_moment_lists_what_was_current_then
        rest/test_history_interaction.py::test_at_lists_what_is_still_current""",
    "history _count": """
        rest/test_history_interaction.py::test_history_in_pages_returns_every_version_once
        rest/test_history_interaction.py::test_the_total_counts_versions_and_count_0_is_nothing_but_it""",
    "history _sort": "rest/test_history_interaction.py::test_sort_turns_the_order_round_over_all_pages",
    "result _contained": """
        rest/test_contained_search.py::test_both_finds_free_standing_ones_too_page_by_page
        repository/test_contained_search.py::test_a_contained_match_is_found_in_containers_of_any_type_and_only_when_asked_for""",
    "result _containedType": """
        rest/test_contained_search.py::test_the_container_is_the_entry_unless_the_contained_resource_is_asked_for
        repository/test_contained_search.py::test_a_container_of_several_matches_is_given_and_counted_once""",
    # Preferences
    "Prefer: return=minimal": """
        rest/test_create.py::test_return_minimal_sends_headers_and_no_body
        rest/test_update.py::test_return_minimal_and_operation_outcome""",
    "Prefer: return=representation": "rest/test_batch.py::test_return_representation_sends_what_was_written",
    "Prefer: return=OperationOutcome": """
        rest/test_create.py::test_return_operation_outcome_tells_what_happened
        rest/test_delete.py::test_return_operation_outcome_tells_what_happened""",
    **{
        f"Prefer: handling={each}": (
            "rest/test_search_interaction.py::test_an_unknown_parameter_is_400_unless_lenient_handling_is_preferred"
        )
        for each in ("strict", "lenient")
    },
    "Prefer: respond-async": """
        rest/operations/test_export.py::test_without_respond_async_it_says_which_header_is_missing
        rest/operations/test_export.py::test_until_it_is_done_the_status_says_so""",
    # Operations
    "$versions": "rest/operations/test_dispatch.py::test_versions_names_r4_as_the_one_version_and_the_default",
    "$everything Patient": """
        rest/operations/test_everything.py::test_everything_of_a_patient_is_the_patient_and_the_compartment_each_once
        rest/operations/test_everything.py::test_the_pages_of_everything_hold_each_resource_once""",
    "$everything Encounter": """
        rest/operations/test_everything.py::test_everything_of_an_encounter_brings_its_patient""",
    "$match Patient": """
        rest/operations/test_match.py::test_a_citizen_id_makes_one_person_certain_and_namesakes_possible
        rest/operations/test_match.py::test_a_match_explains_itself_fact_by_fact""",
    "$merge Patient": """
        rest/operations/test_merge.py::test_the_records_of_the_merged_one_are_found_by_the_other
        rest/operations/test_merge.py::test_a_preview_shows_the_result_and_writes_nothing
        repository/test_merging.py::test_any_merges_and_un_merges_agree_with_a_model""",
    "$unmerge Patient": """
        rest/operations/test_merge.py::test_an_un_merged_patient_stands_for_itself_again
        repository/test_merging.py::test_un_merging_brings_back_what_was_and_keeps_what_was_written_since""",
    "$lastn Observation": """
        rest/operations/test_lastn.py::test_the_newest_of_each_kind_and_the_kind_observed_last_first
        rest/operations/test_lastn.py::test_max_gives_several_of_each_kind_newest_first_and_undated_last""",
    "$reindex": """
        repository/test_added_parameters.py::test_a_posted_parameter_is_searchable_after_reindex_for_old_and_new_records
        rest/test_capabilities.py::test_a_search_parameter_of_the_servers_own_is_declared_once_it_can_be_searched""",
    "$document Composition": """
        rest/operations/test_document.py::test_the_document_holds_the_composition_first_and_every_part_once
        rest/operations/test_document.py::test_a_missing_part_is_named""",
    "$qd831 Patient": "intake/test_health_records.py::test_what_was_received_is_exported_again_over_http",
    "$summary Patient": """
        rest/operations/test_summary.py::test_the_sections_stand_in_their_order_with_what_is_current
        rest/operations/test_summary.py::test_the_summary_is_valid_r4_and_can_be_kept""",
    "$export": """
        rest/operations/test_export.py::test_the_whole_system_is_exported_byte_by_byte_as_it_is_read
        rest/operations/test_export.py::test_types_filters_and_elements_come_by_post_as_by_get
        rest/operations/test_export.py::test_since_leaves_out_what_has_not_changed_after_it
        repository/test_exporting.py::test_an_export_is_what_was_held_when_it_began_while_everything_changes
        repository/test_exporting.py::test_a_worker_that_dies_is_followed_by_another_and_no_line_is_lost_or_doubled""",
    "$export Patient": """
        rest/operations/test_export.py::test_all_patients_are_exported_with_what_is_in_their_compartments
        rest/operations/test_export.py::test_patients_can_be_named_in_the_body""",
    "$export Group": """
        rest/operations/test_export.py::test_a_group_is_exported_with_the_compartments_of_its_active_members""",
    "$stats Observation": "rest/operations/test_stats.py::test_the_statistics_r4_names_are_exact",
    "$meta": """
        rest/operations/test_meta.py::test_the_meta_of_a_resource_is_what_a_read_shows
        rest/operations/test_meta.py::test_the_meta_of_a_version_is_what_that_version_had
        rest/operations/test_meta.py::test_the_meta_of_a_type_holds_each_label_in_use_once
        rest/operations/test_meta.py::test_the_meta_of_the_system_holds_the_labels_of_all_types""",
    "$meta-add": "rest/operations/test_meta.py::test_labels_are_added_as_a_new_version_that_keeps_everything_else",
    "$meta-delete": "rest/operations/test_meta.py::test_labels_are_deleted_by_system_and_code",
    **{
        key: f"conformance/test_terminology_operations.py::test_{test}"
        for key, test in {
            "$validate": "validate_names_the_element_that_is_wrong_and_stores_nothing",
            "$expand ValueSet": "expand_lists_the_codes_of_a_value_set",
            "$validate-code ValueSet": "a_code_is_in_a_value_set_or_not",
            "$validate-code CodeSystem": "a_code_is_in_a_code_system_or_not",
            "$lookup CodeSystem": "lookup_tells_of_a_code",
            "$subsumes CodeSystem": "subsumes_tells_how_two_codes_stand",
            "$translate ConceptMap": "translate_finds_what_a_concept_map_says",
        }.items()
    },
}

PROOFS: dict[str, tuple[str, ...]] = {
    **{key: tuple(tests.split()) for key, tests in _NAMED.items()},
    **{key: (f"{_CASES}[{key}]",) for key in CASES},
}
