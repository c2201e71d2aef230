"""What keys do beyond a pane: to containers, images, lists and the screen. One class a subject."""
