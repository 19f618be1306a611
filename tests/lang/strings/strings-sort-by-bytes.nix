builtins.sort builtins.lessThan [ "b" "B" "a10" "a2" "ä" "" ]
