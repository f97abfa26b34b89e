#pragma once
#include <Arduino.h>

typedef enum { WIFI_STA } wifi_mode_t;
typedef enum { WL_CONNECTED = 3, WL_DISCONNECTED = 6 } wl_status_t;

class WiFiClass {
public:
    bool mode(wifi_mode_t) { return true; }
    wl_status_t begin(const char *, const char *) { return WL_DISCONNECTED; }
    wl_status_t status() { return WL_CONNECTED; }
};
extern WiFiClass WiFi;

class WiFiClient : public Stream {
public:
    int available() override;
    size_t readBytes(uint8_t *out, size_t length) override;
};
