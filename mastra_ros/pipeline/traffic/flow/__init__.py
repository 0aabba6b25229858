"""Flow of traffic from what cameras have told: by lane and interval, with gaps known as gaps."""
