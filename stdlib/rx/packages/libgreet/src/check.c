/* What the library promises. */
#include "greet.h"

#include <assert.h>
#include <string.h>

int main(void)
{
    char text[64];
    assert(greet(text, sizeof text, "la", "munde") == 13);
    assert(strcmp(text, "Salve, munde.") == 0);
    greet(text, sizeof text, "xx", "you");
    assert(strcmp(text, "Hello, you.") == 0);
    return 0;
}
