"""How connections come in: sockets, TLS, HTTP and WebSocket, up to an ASGI application.

acceptor.py  accepts, asks the allowlist, does TLS     lobby.py      who may wait, who is shown out
greeting.py  the first request's head decides what follows: http.py or websocket.py
logs.py      one line a kind and minute
"""
