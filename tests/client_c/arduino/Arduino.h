// What the Arduino example uses of the core for ESP32, as declarations.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

class String {
public:
    String(const char *text) : text(text) {}
    long toInt() const { return std::strtol(text.c_str(), nullptr, 10); }
    const char *c_str() const { return text.c_str(); }

private:
    std::string text;
};

class Stream {
public:
    virtual ~Stream() {}
    virtual int available() = 0;
    virtual size_t readBytes(uint8_t *out, size_t length) = 0;
    size_t readBytesUntil(char end, char *out, size_t length);
    void setTimeout(unsigned long) {}
};

class HardwareSerial : public Stream {
public:
    void begin(unsigned long) {}
    int available() override;
    size_t readBytes(uint8_t *out, size_t length) override;
    size_t printf(const char *format, ...) __attribute__((format(printf, 2, 3)));
    size_t print(const char *text);
    size_t println(const char *text);
};
extern HardwareSerial Serial;

void delay(uint32_t ms);
void setup();
void loop();
