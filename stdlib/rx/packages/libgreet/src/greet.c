/* Greetings by language. */
#include "greet.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *language;
    const char *format;
} greetings[] = {
    { "en", "Hello, %s." },
    { "de", "Guten Tag, %s." },
    { "fr", "Bonjour, %s." },
    { "la", "Salve, %s." },
    { "fi", "Hei, %s." },
};

int greet(char *buffer, size_t size, const char *language, const char *name)
{
    const char *format = greetings[0].format;
    for (size_t i = 0; i < sizeof greetings / sizeof *greetings; i++)
        if (strcmp(greetings[i].language, language) == 0)
            format = greetings[i].format;
    return snprintf(buffer, size, format, name);
}
