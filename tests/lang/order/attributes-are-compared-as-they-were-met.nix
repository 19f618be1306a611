{ zz = 1; aa = throw "never asked for"; } == { zz = 2; aa = 1; }
