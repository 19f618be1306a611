let bb = 1; in assert { zz = 1; cc = 1; } == { zz = 1; inherit bb; }; 1
