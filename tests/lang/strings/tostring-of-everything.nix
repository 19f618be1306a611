map toString [ "a" 1 1.5 true false null [ ] [ 1 [ 2 "x" ] ] /a/b ]
