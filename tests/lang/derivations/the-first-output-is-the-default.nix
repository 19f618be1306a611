let d = derivation { name = "n"; system = "s"; builder = "b"; outputs = [ "lib" "out" ]; }; in [ d.outputName d.outPath ]
