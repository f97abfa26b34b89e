/*
 * A thermometer for ESP-IDF. A person types the code of the operator once, at the console. After
 * that it reports every minute, also after a restart, and resumes when the session has ended. It
 * waits for a gateway that is away or busy.
 *
 * If the gateway does not accept the ticket any more, for example after a revocation, it asks for a
 * new code at the console and tries nothing until a person has typed one.
 *
 * The network is that of protocol_examples_common; set it and the two values of "Certless" in
 * menuconfig. Encrypt NVS and the flash: a thief of the flash can act as the device.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "certless.h"
#include "esp_err.h"
#include "esp_event.h"
#include "esp_http_client.h"
#include "esp_log.h"
#include "esp_netif.h"
#include "esp_random.h"
#include "esp_timer.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "nvs.h"
#include "nvs_flash.h"
#include "protocol_examples_common.h"
#include "sdkconfig.h"

#define MINUTE_MS 60000u

static const char TAG[] = "thermometer";
static nvs_handle_t stored;
static certless_client client;
static certless_retry retry;
static uint8_t buffer[CERTLESS_LOGIN_BYTES];
static int status;             /* of the last HTTP response; 0 if none came */
static unsigned retry_after_s; /* what it said in Retry-After */

static uint64_t now_ms(void)
{
    return (uint64_t)esp_timer_get_time() / 1000u;
}

/* The hardware generator is good while Wi-Fi is on, and the client is used only then. */
static int entropy(void *context, uint8_t *out, size_t length)
{
    (void)context;
    esp_fill_random(out, length);
    return 0;
}

/* NVS keeps the old or the new value as a whole after a power cut. */
static int save(void *context, const uint8_t *state, size_t length)
{
    (void)context;
    return nvs_set_blob(stored, "state", state, length) != ESP_OK || nvs_commit(stored) != ESP_OK;
}

static const certless_config CONFIG = {CONFIG_CERTLESS_NAME, CERTLESS_DEFAULT_REALM,
                                       CERTLESS_COUNTER,     entropy, save, NULL, NULL};

static esp_err_t on_event(esp_http_client_event_t *event)
{
    if (event->event_id == HTTP_EVENT_ON_HEADER
        && strcasecmp(event->header_key, "Retry-After") == 0)
        retry_after_s = (unsigned)strtoul(event->header_value, NULL, 10);
    return ESP_OK;
}

/* POST the first `*length` bytes of the buffer, and put the body of the response there. */
static certless_error exchange(esp_http_client_handle_t http, size_t *length)
{
    if (esp_http_client_set_header(http, "Content-Type", CERTLESS_CONTENT_TYPE) != ESP_OK
        || esp_http_client_open(http, (int)*length) != ESP_OK)
        return CERTLESS_NO_CONNECTION;
    if (esp_http_client_write(http, (const char *)buffer, (int)*length) != (int)*length
        || esp_http_client_fetch_headers(http) < 0)
        return CERTLESS_NO_ANSWER;
    status = esp_http_client_get_status_code(http);
    if (status != 200)
        return CERTLESS_HTTP_REFUSED;
    int got = esp_http_client_read_response(http, (char *)buffer, (int)sizeof buffer);
    if (got < 0 || !esp_http_client_is_complete_data_received(http))
        return CERTLESS_NO_ANSWER;
    *length = (size_t)got;
    return CERTLESS_OK;
}

static certless_error post(const char *route, size_t *length)
{
    char url[256];
    status = 0;
    retry_after_s = 0;
    int n = snprintf(url, sizeof url, "%s%s", CONFIG_CERTLESS_URL, route);
    if (n < 0 || (size_t)n >= sizeof url)
        return CERTLESS_BAD_ARGUMENT;
    const esp_http_client_config_t config = {.url = url,
                                             .method = HTTP_METHOD_POST,
                                             .timeout_ms = 30000,
                                             .disable_auto_redirect = true,
                                             .event_handler = on_event};
    esp_http_client_handle_t http = esp_http_client_init(&config);
    if (http == NULL)
        return CERTLESS_NO_CONNECTION;
    certless_error error = exchange(http, length);
    (void)esp_http_client_cleanup(http);
    return error;
}

/* The second half of a login, and of a resumption. Its first message is in the buffer. */
static certless_error finish(size_t length)
{
    uint8_t confirmation[128];
    size_t n = 0;
    certless_error error = post(certless_route(&client), &length);
    if (error == CERTLESS_OK)
        error = certless_receive_share(&client, buffer, length, confirmation, sizeof confirmation, &n);
    if (error != CERTLESS_OK)
        return error;
    for (size_t i = 0; i < n; i++)
        buffer[i] = confirmation[i];
    error = post(certless_route(&client), &n);
    return error == CERTLESS_OK ? certless_receive_confirmation(&client, now_ms(), buffer, n) : error;
}

static certless_error resume(void)
{
    size_t length = 0;
    certless_error error = certless_begin_resumption(&client, buffer, sizeof buffer, &length);
    return error == CERTLESS_OK ? finish(length) : error;
}

/* The code is asked for first: a person takes longer than the gateway waits. */
static certless_error log_in(void)
{
    char typed[64];
    size_t length = 0;
    (void)printf("Code of the operator: ");
    (void)fflush(stdout);
    if (fgets(typed, sizeof typed, stdin) == NULL)
        return CERTLESS_NO_CODE;
    certless_error error = certless_begin_login(&client, buffer, sizeof buffer, &length);
    if (error == CERTLESS_OK)
        error = post(certless_route(&client), &length);
    if (error == CERTLESS_OK)
        error = certless_receive_hello(&client, buffer, length);
    if (error == CERTLESS_OK)
        error = certless_enter_code(&client, typed, buffer, sizeof buffer, &length);
    return error == CERTLESS_OK ? finish(length) : error;
}

static certless_error send_once(const certless_request *request, certless_response *response)
{
    size_t length = 0;
    certless_error error =
        certless_seal(&client, now_ms(), request, buffer, sizeof buffer, &length);
    if (error == CERTLESS_OK)
        error = post("/message", &length);
    return error == CERTLESS_OK ? certless_open(&client, now_ms(), buffer, length, response) : error;
}

/* A PUT of a numbered reading does no harm if it is handled twice, so it can be sent again. */
static certless_error report(unsigned number, int degrees)
{
    char target[32], body[32];
    certless_response response = {.status = 0};
    static const certless_header headers[] = {{"Content-Type", "application/json"}};
    (void)snprintf(target, sizeof target, "/readings/%u", number);
    int length = snprintf(body, sizeof body, "{\"degrees\": %d}", degrees);
    const certless_request request = {"PUT", target, NULL, headers, 1, body, (size_t)length};
    certless_error error = send_once(&request, &response);
    if (error == CERTLESS_EPOCH_ENDED)
        error = send_once(&request, &response);
    if (error == CERTLESS_OK)
        ESP_LOGI(TAG, "%u: status %u", number, response.status);
    return error;
}

/* In pieces, because many milliseconds are too many for pdMS_TO_TICKS. */
static void pause_ms(uint32_t ms)
{
    for (; ms > MINUTE_MS; ms -= MINUTE_MS)
        vTaskDelay(pdMS_TO_TICKS(MINUTE_MS));
    vTaskDelay(pdMS_TO_TICKS(ms));
}

/* Nothing goes on without a person. Show this state on a display or with a lamp, if there is one. */
static void wait_for_person(void)
{
    certless_error error;
    do {
        error = log_in();
        if (error != CERTLESS_OK) {
            ESP_LOGE(TAG, "login: %s (HTTP status %d)", certless_error_text(error), status);
            pause_ms(1000);
        }
    } while (error != CERTLESS_OK);
    retry.failures = retry.refusals = 0;
}

/* One step: a session if there is none, or else the reading. 1 if the reading was sent. */
static int step(unsigned number, int degrees)
{
    int has_session = certless_has_session(&client, now_ms());
    certless_error error = has_session ? report(number, degrees) : resume();
    const certless_failure failure = {error, (unsigned)status, retry_after_s};
    uint32_t wait_ms = 0;
    if (error == CERTLESS_OK) {
        if (has_session)
            retry.failures = retry.refusals = 0;
        return has_session;
    }
    ESP_LOGW(TAG, "%s (HTTP status %d)", certless_error_text(error), status);
    certless_remedy remedy =
        has_session ? certless_after_message(&client, &retry, &failure, &wait_ms)
                    : certless_after_resumption(&client, &retry, &failure, &wait_ms);
    if (remedy == CERTLESS_ASK_FOR_CODE) {
        ESP_LOGE(TAG, "%s", "The gateway does not accept this device any more: a person has to type a new code");
        wait_for_person();
    } else {
        /* With CERTLESS_REPAIR too: a device can do nothing else, and the log says what failed. */
        pause_ms(wait_ms);
    }
    return 0;
}

/* Put your sensor here. */
static int read_degrees(void)
{
    return 21;
}

static void start(void)
{
    uint8_t state[CERTLESS_STATE_BYTES];
    size_t length = sizeof state;
    ESP_ERROR_CHECK(nvs_flash_init());
    ESP_ERROR_CHECK(esp_netif_init());
    ESP_ERROR_CHECK(esp_event_loop_create_default());
    ESP_ERROR_CHECK(example_connect());
    ESP_ERROR_CHECK(example_configure_stdin_stdout());
    ESP_ERROR_CHECK(nvs_open("certless", NVS_READWRITE, &stored));
    ESP_ERROR_CHECK(certless_init(&client, &CONFIG) == CERTLESS_OK ? ESP_OK : ESP_FAIL);
    esp_err_t found = nvs_get_blob(stored, "state", state, &length);
    if (found == ESP_ERR_NVS_NOT_FOUND)
        return;
    ESP_ERROR_CHECK(found);
    certless_error error = certless_load(&client, now_ms(), state, length);
    if (error != CERTLESS_OK)
        ESP_LOGE(TAG, "stored state: %s", certless_error_text(error));
}

void app_main(void)
{
    start();
    if (!certless_has_ticket(&client))
        wait_for_person();
    for (unsigned number = 1;; number++) {
        int degrees = read_degrees();
        while (!step(number, degrees)) {
        }
        pause_ms(MINUTE_MS);
    }
}
