"""Where events of a run go besides the store: a broker, a gateway, a scraper, a file.

A process of its own, the relay, takes them from a feed and gives them to each sink in a thread
of its own: what a sink does, or fails to do, costs no measuring process anything.
"""
