[ ({ a.b = 1; } ? a.b) ({ a.b = 1; } ? a.c) ({ a = 1; } ? a.b) ({ a = throw "no"; } ? a) ]
