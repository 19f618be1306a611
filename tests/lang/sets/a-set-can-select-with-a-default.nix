[ ({ a = 1; }.a or 2) ({ }.a or 2) ({ a = 1; }.a.b or 3) (1.a or 4) ]
