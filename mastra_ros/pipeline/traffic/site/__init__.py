"""A site: where lines, lanes and zones lie in the picture of a camera, and where on the road."""
