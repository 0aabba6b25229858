"""A network cut in two, where that pays: the cuts, what each costs, the bundle that runs so."""
