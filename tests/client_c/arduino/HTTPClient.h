#pragma once
#include <WiFi.h>

class HTTPClient {
public:
    bool begin(WiFiClient &client, const char *url);
    void setReuse(bool) {}
    void setTimeout(uint16_t) {}
    void collectHeaders(const char *names[], size_t count);
    void addHeader(const String &name, const String &value);
    int POST(uint8_t *payload, size_t size);
    String header(const char *name);
    int getSize();
    WiFiClient &getStream();
    void end();

private:
    WiFiClient *connection;
    bool hasType, collects;
    std::string route;
};
