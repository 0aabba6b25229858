"""The device's end of the link: the socket around the session, reconnecting, the spool on disk."""
