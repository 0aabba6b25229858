"""A junction with signals: its layout, the plans for it, and the guard that shows them."""
