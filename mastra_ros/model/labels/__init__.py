"""What label files say of pictures: COCO's annotations, rows of boxes, YOLO's rows."""
