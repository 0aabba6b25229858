"""The web page beside a gateway: what its devices do, and changing what may be changed."""
