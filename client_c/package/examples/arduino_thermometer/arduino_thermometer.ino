/*
 * A thermometer for Arduino on an ESP32. A person types the code of the operator once, in the serial
 * monitor (115200 baud, line ending "Newline"). After that it reports every minute, also after a
 * restart, and resumes when the session has ended. It waits for a gateway that is away or busy.
 *
 * If the gateway does not accept the ticket any more, for example after a revocation, it asks for a
 * new code and tries nothing until a person has typed one.
 *
 * Encrypt the flash: a thief of the flash can act as the device.
 */
#include <HTTPClient.h>
#include <Preferences.h>
#include <WiFi.h>
#include <certless.h>
#include <esp_random.h>
#include <esp_timer.h>

static const char NETWORK[] = "plant";
static const char NETWORK_PASSWORD[] = "change me";
static const char GATEWAY[] = "http://192.0.2.7:8440/.gateway"; // with its prefix
static const char NAME[] = "fan-7"; // of this device at the gateway
static const uint32_t MINUTE_MS = 60000;

static Preferences stored;
static certless_config config; // all zeros, until setup
static certless_client client;
static certless_retry retry;
static uint8_t buffer[CERTLESS_LOGIN_BYTES];
static int status;             // of the last HTTP response; 0 if none came
static unsigned retryAfterS;   // what it said in Retry-After
static bool needsPerson;
static unsigned number = 1;    // of the next reading

static uint64_t nowMs()
{
    return (uint64_t)esp_timer_get_time() / 1000;
}

// The hardware generator is good while Wi-Fi is on, and the client is used only then.
static int entropy(void *, uint8_t *out, size_t length)
{
    esp_fill_random(out, length);
    return 0;
}

// Preferences are in NVS, which keeps the old or the new value as a whole after a power cut.
static int save(void *, const uint8_t *state, size_t length)
{
    return stored.putBytes("state", state, length) == length ? 0 : 1;
}

// The body of the response, in place of what was sent.
static certless_error readBody(HTTPClient &http, size_t *length)
{
    int size = http.getSize(); // -1 without a Content-Length, which the gateway always sends
    if (size < 0 || (size_t)size > sizeof buffer)
        return CERTLESS_NO_ANSWER;
    *length = (size_t)size;
    return http.getStream().readBytes(buffer, *length) == *length ? CERTLESS_OK : CERTLESS_NO_ANSWER;
}

// POST the first `*length` bytes of the buffer, and put the body of the response there.
static certless_error post(const char *route, size_t *length)
{
    char url[256];
    const char *wanted[] = {"Retry-After"};
    WiFiClient connection;
    HTTPClient http;
    status = 0;
    retryAfterS = 0;
    int n = snprintf(url, sizeof url, "%s%s", GATEWAY, route);
    if (n < 0 || (size_t)n >= sizeof url)
        return CERTLESS_BAD_ARGUMENT;
    if (!http.begin(connection, url))
        return CERTLESS_NO_CONNECTION;
    http.setReuse(false);
    http.setTimeout(30000);
    http.collectHeaders(wanted, 1);
    http.addHeader("Content-Type", CERTLESS_CONTENT_TYPE);
    int found = http.POST(buffer, *length);
    certless_error error = CERTLESS_NO_ANSWER; // a negative number is an error of the connection
    if (found > 0) {
        status = found;
        retryAfterS = (unsigned)http.header("Retry-After").toInt();
        error = status == 200 ? readBody(http, length) : CERTLESS_HTTP_REFUSED;
    }
    http.end();
    return error;
}

// The second half of a login, and of a resumption. Its first message is in the buffer.
static certless_error finish(size_t length)
{
    uint8_t confirmation[128];
    size_t n = 0;
    certless_error error = post(certless_route(&client), &length);
    if (error == CERTLESS_OK)
        error = certless_receive_share(&client, buffer, length, confirmation, sizeof confirmation, &n);
    if (error != CERTLESS_OK)
        return error;
    memcpy(buffer, confirmation, n);
    error = post(certless_route(&client), &n);
    return error == CERTLESS_OK ? certless_receive_confirmation(&client, nowMs(), buffer, n) : error;
}

static certless_error resume()
{
    size_t length = 0;
    certless_error error = certless_begin_resumption(&client, buffer, sizeof buffer, &length);
    return error == CERTLESS_OK ? finish(length) : error;
}

static certless_error logIn(const char *typed)
{
    size_t length = 0;
    certless_error error = certless_begin_login(&client, buffer, sizeof buffer, &length);
    if (error == CERTLESS_OK)
        error = post(certless_route(&client), &length);
    if (error == CERTLESS_OK)
        error = certless_receive_hello(&client, buffer, length);
    if (error == CERTLESS_OK)
        error = certless_enter_code(&client, typed, buffer, sizeof buffer, &length);
    return error == CERTLESS_OK ? finish(length) : error;
}

static certless_error sendOnce(const certless_request *request, certless_response *response)
{
    size_t length = 0;
    certless_error error =
        certless_seal(&client, nowMs(), request, buffer, sizeof buffer, &length);
    if (error == CERTLESS_OK)
        error = post("/message", &length);
    return error == CERTLESS_OK ? certless_open(&client, nowMs(), buffer, length, response) : error;
}

// Put your sensor here.
static int readDegrees()
{
    return 21;
}

// A PUT of a numbered reading does no harm if it is handled twice, so it can be sent again.
static certless_error report()
{
    char target[32], body[32];
    certless_response response = {};
    static const certless_header headers[] = {{"Content-Type", "application/json"}};
    snprintf(target, sizeof target, "/readings/%u", number);
    int length = snprintf(body, sizeof body, "{\"degrees\": %d}", readDegrees());
    const certless_request request = {"PUT", target, NULL, headers, 1, body, (size_t)length};
    certless_error error = sendOnce(&request, &response);
    if (error == CERTLESS_EPOCH_ENDED)
        error = sendOnce(&request, &response);
    if (error == CERTLESS_OK)
        Serial.printf("%u: status %u\n", number, response.status);
    return error;
}

static void complain(certless_error error)
{
    Serial.printf("%s (HTTP status %d)\n", certless_error_text(error), status);
}

// Show this state on a display or with a lamp, if there is one.
static void askPerson()
{
    needsPerson = true;
    Serial.print("Code of the operator: ");
}

// Nothing goes on without a person.
static void awaitPerson()
{
    char typed[64];
    if (!Serial.available()) {
        delay(200);
        return;
    }
    size_t length = Serial.readBytesUntil('\n', typed, sizeof typed - 1);
    typed[length] = 0;
    certless_error error = logIn(typed);
    if (error == CERTLESS_OK) {
        needsPerson = false;
        retry.failures = retry.refusals = 0;
    } else {
        complain(error);
        askPerson();
    }
}

// A session if there is none, or else the next reading.
static void step()
{
    bool hasSession = certless_has_session(&client, nowMs()) != 0;
    certless_error error = hasSession ? report() : resume();
    const certless_failure failure = {error, (unsigned)status, retryAfterS};
    uint32_t waitMs = 0;
    if (error == CERTLESS_OK) {
        if (hasSession) {
            retry.failures = retry.refusals = 0;
            number++;
            delay(MINUTE_MS);
        }
        return;
    }
    complain(error);
    certless_remedy remedy =
        hasSession ? certless_after_message(&client, &retry, &failure, &waitMs)
                   : certless_after_resumption(&client, &retry, &failure, &waitMs);
    if (remedy == CERTLESS_ASK_FOR_CODE) {
        Serial.println("The gateway does not accept this device any more: a person has to type a new code.");
        askPerson();
    } else {
        // With CERTLESS_REPAIR too: a device can do nothing else, and the line above says what failed.
        delay(waitMs);
    }
}

void setup()
{
    uint8_t state[CERTLESS_STATE_BYTES];
    Serial.begin(115200);
    Serial.setTimeout(MINUTE_MS); // a person types slowly
    WiFi.mode(WIFI_STA);
    WiFi.begin(NETWORK, NETWORK_PASSWORD);
    stored.begin("certless", false);
    config.username = NAME;
    config.realm = CERTLESS_DEFAULT_REALM;
    config.fresh = CERTLESS_COUNTER;
    config.entropy = entropy;
    config.save = save;
    certless_init(&client, &config);
    size_t length = stored.getBytes("state", state, sizeof state);
    if (length > 0) {
        certless_error error = certless_load(&client, nowMs(), state, length);
        if (error != CERTLESS_OK)
            complain(error);
    }
    if (!certless_has_ticket(&client))
        askPerson();
}

void loop()
{
    if (WiFi.status() != WL_CONNECTED)
        delay(200); // the generator of random numbers needs Wi-Fi too
    else if (needsPerson)
        awaitPerson();
    else
        step();
}
