"""What SMART App Launch 2.2.0 demands of a server, and the test that proves it: rows of docs/security.md.

Demands in our own words; the sections are those of https://hl7.org/fhir/smart-app-launch/STU2.2/.
"""

from __future__ import annotations

Row = tuple[str, str]

_LAUNCH, _TOKEN, _FHIR = "test_app_launch.py", "test_token_endpoint.py", "test_fhir_access.py"
_RULES = f"{_TOKEN}::test_an_assertion_that_breaks_a_rule_is_refused"

SECTIONS: dict[tuple[str, str], list[Row]] = {
    ("Discovery", "conformance.html#using-well-known"): [
        (
            "A JSON document at `.well-known/smart-configuration` below the FHIR base, without a token",
            f"{_FHIR}::test_discovery_tells_the_addresses_and_what_is_supported",
        ),
        (
            "Required members: token and authorization endpoint, grant types, capabilities, `code_challenge_methods_supported` with S256 and without plain",
            f"{_FHIR}::test_discovery_tells_the_addresses_and_what_is_supported",
        ),
        (
            "Addresses are absolute and do not follow the request",
            f"{_FHIR}::test_discovery_does_not_follow_the_host_header",
        ),
        (
            "Announced scopes are understood",
            f"{_FHIR}::test_every_scope_that_is_announced_is_one_that_is_understood",
        ),
        (
            "The CapabilityStatement names SMART and the endpoints",
            f"{_FHIR}::test_the_capability_statement_names_smart_and_its_addresses",
        ),
        (
            "Apps in a browser may call the token endpoint and read discovery (CORS)",
            f"{_LAUNCH}::test_an_app_in_a_browser_may_read_the_answers",
        ),
    ],
    ("Scopes", "scopes-and-launch-context.html"): [
        (
            "`level/Type.cruds?param=value`, letters in order",
            "test_scopes.py::test_a_scope_says_level_type_letters_and_filter",
        ),
        ("What is no scope grants nothing", "test_scopes.py::test_what_is_no_scope_for_resources_is_none"),
        ("Version 1 is mapped to version 2", f"{_TOKEN}::test_scopes_of_version_1_are_understood"),
        (
            "Never more is granted than asked for and registered",
            "test_scopes.py::test_what_is_granted_was_asked_for_and_is_allowed",
        ),
        (
            "The granted scopes are told; unknown ones are dropped",
            f"{_TOKEN}::test_what_cannot_be_granted_is_dropped_and_the_rest_is_told",
        ),
        ("None left: `invalid_scope`", f"{_TOKEN}::test_errors_have_the_codes_of_oauth"),
        (
            "`patient/` scopes are bound to the patient in context",
            f"{_LAUNCH}::test_the_token_reads_the_person_and_nobody_else",
        ),
        (
            "A `patient/` scope without a patient opens nothing",
            f"{_FHIR}::test_a_patient_scope_that_is_bound_to_nobody_is_refused",
        ),
        (
            "`offline_access` decides about refresh tokens",
            f"{_LAUNCH}::test_without_offline_access_there_is_no_refresh_token",
        ),
    ],
    ("Client authentication", "client-confidential-asymmetric.html"): [
        ("RS384 and ES384", f"{_TOKEN}::test_a_signed_assertion_gets_a_bearer_token_for_300_seconds"),
        ("No other algorithm, none and HMAC above all", f"{_TOKEN}::test_no_other_algorithm_counts"),
        ("A public key is no shared secret", f"{_TOKEN}::test_the_public_key_is_no_shared_secret"),
        ("`kid` and `alg` choose among the registered keys", _RULES),
        ("`typ` is JWT; `jwk`, `x5u`, `crit` are refused", _RULES),
        ("`iss` and `sub` are the client_id", _RULES),
        ("`aud` is the token endpoint", _RULES),
        ("`exp` lies ahead, by five minutes at most", _RULES),
        ("`jti` counts once for a client", f"{_TOKEN}::test_an_assertion_counts_once"),
        ("The signature is the registered key's", f"{_TOKEN}::test_a_changed_claim_breaks_the_signature"),
        (
            "`jku` only as registered; keys from a URL are honoured",
            "test_outbound.py::test_a_client_with_a_key_set_at_a_url_proves_itself_by_a_key_from_there",
        ),
        (
            "Key sets are kept no longer than announced keys may change",
            "test_outbound.py::test_a_key_set_is_kept_for_five_minutes_and_an_unknown_key_has_it_fetched_twice_a_minute_at_most",
        ),
        (
            "Key sets come over TLS with a valid certificate",
            "test_outbound.py::test_a_certificate_of_another_name_or_of_nobody_known_is_refused",
        ),
        (
            "Key sets come from public addresses, also when names change their answer",
            "test_outbound.py::test_a_name_is_resolved_once_and_the_address_that_was_checked_is_the_one_connected_to",
        ),
        ("`invalid_client` for whatever fails", f"{_TOKEN}::test_errors_have_the_codes_of_oauth"),
    ],
    ("Token response", "backend-services.html#issue-access-token"): [
        (
            "`access_token`, `token_type` Bearer, `expires_in` of 300 at most, `scope`",
            f"{_TOKEN}::test_a_signed_assertion_gets_a_bearer_token_for_300_seconds",
        ),
        (
            "`Cache-Control: no-store` and `Pragma: no-cache`",
            f"{_LAUNCH}::test_the_token_response_is_never_kept_in_a_cache",
        ),
        ("Errors are those of OAuth", f"{_TOKEN}::test_errors_have_the_codes_of_oauth"),
        (
            "`patient` beside the token of an app",
            f"{_LAUNCH}::test_a_launch_ends_with_a_token_bound_to_the_person",
        ),
        ("Tokens are stored as hashes", f"{_TOKEN}::test_only_a_hash_of_a_token_is_stored"),
    ],
    ("App launch", "app-launch.html"): [
        (
            "`redirect_uri` is a registered one to the letter",
            f"{_LAUNCH}::test_nobody_is_sent_to_an_address_that_is_not_registered_to_the_letter",
        ),
        (
            "`response_type`, `aud`, PKCE with S256 and scopes are checked",
            f"{_LAUNCH}::test_the_app_is_told_what_is_wrong_with_its_request",
        ),
        ("`state` is needed and comes back", f"{_LAUNCH}::test_the_state_comes_back_as_it_was_sent"),
        ("The request may come by POST", f"{_LAUNCH}::test_the_request_may_come_by_post_too"),
        ("A code lives for a minute", f"{_LAUNCH}::test_a_code_lives_for_a_minute"),
        (
            "A code counts once, and ends its tokens otherwise",
            f"{_LAUNCH}::test_a_code_used_again_ends_the_tokens_it_gave",
        ),
        (
            "The code verifier fits the challenge",
            f"{_LAUNCH}::test_a_code_needs_its_verifier_and_redirect_uri_and_is_spent_by_a_wrong_try",
        ),
        ("A code is its client's", f"{_LAUNCH}::test_a_code_of_another_client_is_not_taken"),
        (
            "A confidential app proves itself",
            f"{_LAUNCH}::test_a_confidential_app_redeems_its_code_with_its_key_only",
        ),
        (
            "Refresh tokens change at each use",
            f"{_LAUNCH}::test_a_refresh_gives_new_tokens_and_the_old_refresh_token_is_spent",
        ),
        ("One used again ends its family", f"{_LAUNCH}::test_a_refresh_token_used_again_ends_the_whole_family"),
        ("A refresh never widens", f"{_LAUNCH}::test_a_refresh_can_ask_for_less_and_never_for_more"),
        ("A locked or changed card ends all of it", f"{_LAUNCH}::test_the_tokens_of_a_locked_card_die_at_once"),
        ("Nobody agrees by a foreign page", f"{_LAUNCH}::test_a_form_of_another_page_or_browser_is_not_taken"),
    ],
    ("Access, introspection, revocation", "token-introspection.html"): [
        (
            "Every address below the base needs a token",
            f"{_FHIR}::test_every_address_below_the_base_needs_a_token_but_those_that_tell_nothing",
        ),
        (
            "401 with `WWW-Authenticate`, alike for unknown, revoked and expired",
            f"{_FHIR}::test_unknown_revoked_and_expired_tokens_are_answered_alike",
        ),
        ("No token in an address", f"{_FHIR}::test_a_token_in_the_address_is_no_token"),
        (
            "Introspection: `active`, `scope`, `client_id`, `exp`, and `patient` as launch context",
            f"{_FHIR}::test_introspection_names_the_patient_to_a_client_that_may_ask_of_all",
        ),
        (
            "Introspection needs a client that proves itself",
            f"{_FHIR}::test_introspection_and_revocation_need_a_client_that_proves_itself",
        ),
        (
            "Any other token is inactive, and no more is told",
            f"{_FHIR}::test_introspection_of_anything_else_says_inactive_and_no_more",
        ),
        ("A client revokes its own tokens", f"{_FHIR}::test_a_client_revokes_its_own_tokens_only"),
        (
            "Revocation holds at the next request, in every worker",
            "test_workers.py::test_a_revoked_token_is_refused_by_the_next_request_in_every_worker",
        ),
    ],
}
