let d = derivation { name = "n"; system = "s"; builder = "b"; outputs = [ "out" "dev" "man" ]; }; in [ d.outPath d.dev.outPath d.man.outPath d.dev.outputName (map (o: o.outputName) d.all) ]
