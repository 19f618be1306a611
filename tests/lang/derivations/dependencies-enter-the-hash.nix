let a = derivation { name = "a"; system = "s"; builder = "b"; x = 1; }; b = derivation { name = "b"; system = "s"; builder = a; inherit a; }; in [ b.drvPath b.outPath ]
