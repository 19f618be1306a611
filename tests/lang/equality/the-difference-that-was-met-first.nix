assert { zz = 1; aa = 1; } == { zz = 2; aa = 3; }; 1
