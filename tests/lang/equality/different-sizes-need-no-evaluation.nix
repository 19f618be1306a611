[ ([ (throw "a") ] == [ ]) ({ a = throw "a"; } == { }) ]
