map baseNameOf [ /a/b /a /. ]
