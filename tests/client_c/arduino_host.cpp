/*
 * What the Arduino example uses of the core for ESP32, on a PC: HTTP over a socket, preferences in a
 * file, the serial monitor on the standard streams, and a delay that only says how long it is.
 *
 *     arduino_thermometer HOST PORT STATE_FILE
 */
#include <HTTPClient.h>
#include <Preferences.h>
#include <WiFi.h>

extern "C" {
#include "certless_http.h"
}

#include <cstdarg>
#include <poll.h>
#include <unistd.h>

#include <esp_random.h>
#include <esp_timer.h>

HardwareSerial Serial;
WiFiClass WiFi;
static certless_link to = {nullptr, nullptr, CERTLESS_PREFIX, 20000, 0, 0};
static certless_file file;
static cl_http http;
static uint8_t body[300000];
static size_t bodyLength, bodyRead;

// --- HTTP: the gateway of the test answers, whatever host the URL has ---

bool HTTPClient::begin(WiFiClient &client, const char *url)
{
    const char *prefix = std::strstr(url, CERTLESS_PREFIX);
    connection = &client;
    hasType = collects = false;
    route = prefix == nullptr ? "" : prefix + std::strlen(CERTLESS_PREFIX);
    return prefix != nullptr;
}

void HTTPClient::collectHeaders(const char *names[], size_t count)
{
    collects = count == 1 && std::strcmp(names[0], "Retry-After") == 0;
}

void HTTPClient::addHeader(const String &name, const String &value)
{
    hasType = std::strcmp(name.c_str(), "Content-Type") == 0
           && std::strcmp(value.c_str(), CERTLESS_CONTENT_TYPE) == 0;
}

int HTTPClient::POST(uint8_t *payload, size_t size)
{
    bodyLength = bodyRead = 0;
    to.status = to.retry_after_s = 0;
    certless_error error = hasType ? cl_http_open(&http, &to) : CERTLESS_BAD_ARGUMENT;
    if (error == CERTLESS_OK)
        error = cl_http_post(&http, &to, route.c_str(), payload, size);
    if (error == CERTLESS_OK)
        error = cl_http_head(&http, &to);
    if (error == CERTLESS_OK)
        error = cl_http_body(&http, body, sizeof body, &bodyLength);
    cl_http_close(&http);
    return error == CERTLESS_OK || error == CERTLESS_HTTP_REFUSED ? (int)to.status : -1;
}

String HTTPClient::header(const char *)
{
    return String(collects && to.retry_after_s > 0 ? std::to_string(to.retry_after_s).c_str() : "");
}

int HTTPClient::getSize()
{
    return (int)bodyLength;
}

WiFiClient &HTTPClient::getStream()
{
    return *connection;
}

void HTTPClient::end()
{
}

int WiFiClient::available()
{
    return (int)(bodyLength - bodyRead);
}

size_t WiFiClient::readBytes(uint8_t *out, size_t length)
{
    size_t got = length < bodyLength - bodyRead ? length : bodyLength - bodyRead;
    std::memcpy(out, body + bodyRead, got);
    bodyRead += got;
    return got;
}

// --- the rest ---

int HardwareSerial::available()
{
    struct pollfd polled = {STDIN_FILENO, POLLIN, 0};
    return poll(&polled, 1, 0) > 0 && (polled.revents & POLLIN) != 0;
}

size_t HardwareSerial::readBytes(uint8_t *out, size_t length)
{
    size_t got = 0;
    while (got < length && read(STDIN_FILENO, out + got, 1) == 1)
        got++;
    return got;
}

size_t Stream::readBytesUntil(char end, char *out, size_t length)
{
    size_t got = 0;
    while (got < length && readBytes((uint8_t *)out + got, 1) == 1 && out[got] != end)
        got++;
    return got;
}

size_t HardwareSerial::printf(const char *format, ...)
{
    va_list given;
    va_start(given, format);
    int size = std::vprintf(format, given);
    va_end(given);
    std::fflush(stdout);
    return size < 0 ? 0 : (size_t)size;
}

size_t HardwareSerial::print(const char *text)
{
    return printf("%s", text);
}

size_t HardwareSerial::println(const char *text)
{
    return printf("%s\n", text);
}

size_t Preferences::putBytes(const char *, const void *value, size_t length)
{
    return certless_file_save(&file, (const uint8_t *)value, length) == 0 ? length : 0;
}

size_t Preferences::getBytes(const char *, void *out, size_t capacity)
{
    FILE *stored = std::fopen(file.path, "rb");
    if (stored == nullptr)
        return 0;
    size_t got = std::fread(out, 1, capacity, stored);
    std::fclose(stored);
    return got;
}

int64_t esp_timer_get_time(void)
{
    return (int64_t)certless_now_ms() * 1000;
}

void esp_fill_random(void *buffer, size_t length)
{
    if (certless_random(nullptr, (uint8_t *)buffer, length) != 0)
        std::abort();
}

void delay(uint32_t ms)
{
    if (ms != 200) { // while it waits for a person, or for Wi-Fi
        Serial.printf("waits %lu ms\n", (unsigned long)ms);
        return;
    }
    struct pollfd polled = {STDIN_FILENO, POLLIN, 0};
    (void)poll(&polled, 1, 200);
}

int main(int count, char **given)
{
    if (count != 4)
        return 2;
    to.host = given[1];
    to.port = given[2];
    file.path = given[3];
    setup();
    for (;;)
        loop();
}
