"""Makes events of tracks: who crossed, turned, went the wrong way, stopped; how full lanes are."""
