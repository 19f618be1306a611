{ zz = throw "compared first"; aa = 1; } == { zz = 1; bb = 1; }
