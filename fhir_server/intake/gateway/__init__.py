"""The calls that hospital systems already make to provincial gateways (docs/gateway.md), beside FHIR.

A body is stored before it is called accepted, and processed afterwards: accepted is not yet valid.
"""
