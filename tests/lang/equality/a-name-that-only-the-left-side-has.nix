assert { zz = 1; cc = 1; } == { zz = 1; aa = 1; }; 1
