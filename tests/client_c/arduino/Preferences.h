#pragma once
#include <Arduino.h>

class Preferences {
public:
    bool begin(const char *, bool) { return true; }
    size_t putBytes(const char *key, const void *value, size_t length);
    size_t getBytes(const char *key, void *out, size_t capacity);
};
