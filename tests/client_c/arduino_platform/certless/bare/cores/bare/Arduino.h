#include <stddef.h>
#include <stdint.h>
#include <string.h>

void setup();
void loop();
