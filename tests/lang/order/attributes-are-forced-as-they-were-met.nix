{ zz = throw "first"; aa = throw "second"; }
