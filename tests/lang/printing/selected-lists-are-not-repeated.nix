let s = { l = [ 1 ]; }; in [ s.l s.l ]
