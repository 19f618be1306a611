{ zz = throw "never asked for"; name = 1; } == { zz = 1; name = 2; }
