let d = derivation { name = "n"; system = "s"; builder = "b"; extra = [ 1 ]; }; in [ d.extra d.drvAttrs.extra ]
