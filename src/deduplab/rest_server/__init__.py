"""The reference server of the REST contract (docs/rest-contract.yaml): small, content-addressed.

It is a system with a known answer behind a network: whole copies are free at
ingestion. Start it with ``python -m deduplab.rest_server``; see docs/systems/rest.md.
"""
