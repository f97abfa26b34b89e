/*
 * What the thermometer uses of ESP-IDF, on a PC: HTTP over a socket, NVS in a file, and a delay that
 * only says how long it is.
 *
 *     thermometer HOST PORT STATE_FILE
 */
#include "certless_http.h"
#include "esp_event.h"
#include "esp_http_client.h"
#include "esp_netif.h"
#include "esp_random.h"
#include "esp_timer.h"
#include "freertos/task.h"
#include "nvs.h"
#include "nvs_flash.h"
#include "protocol_examples_common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct esp_http_client {
    cl_http http;
    const char *route;
    http_event_handle_cb on_event;
    int is_complete;
};

static certless_link to = {NULL, NULL, CERTLESS_PREFIX, 20000, 0, 0};
static certless_file file;

/* --- HTTP: the gateway of the test answers, whatever host the URL has --- */

esp_http_client_handle_t esp_http_client_init(const esp_http_client_config_t *config)
{
    struct esp_http_client *made = calloc(1, sizeof *made);
    const char *prefix = strstr(config->url, CERTLESS_PREFIX);
    if (made == NULL || prefix == NULL)
        abort();
    made->route = prefix + strlen(CERTLESS_PREFIX);
    made->on_event = config->event_handler;
    made->http.socket = -1;
    return made;
}

esp_err_t esp_http_client_set_header(esp_http_client_handle_t client, const char *key, const char *value)
{
    (void)client;
    return strcmp(key, "Content-Type") == 0 && strcmp(value, CERTLESS_CONTENT_TYPE) == 0 ? ESP_OK : ESP_FAIL;
}

esp_err_t esp_http_client_open(esp_http_client_handle_t client, int length)
{
    (void)length;
    return cl_http_open(&client->http, &to) == CERTLESS_OK ? ESP_OK : ESP_FAIL;
}

int esp_http_client_write(esp_http_client_handle_t client, const char *buffer, int length)
{
    certless_error error =
        cl_http_post(&client->http, &to, client->route, (const uint8_t *)buffer, (size_t)length);
    return error == CERTLESS_OK ? length : -1;
}

int64_t esp_http_client_fetch_headers(esp_http_client_handle_t client)
{
    char value[20], name[] = "retry-after";
    to.status = to.retry_after_s = 0;
    certless_error error = cl_http_head(&client->http, &to);
    (void)snprintf(value, sizeof value, "%u", to.retry_after_s);
    esp_http_client_event_t event = {HTTP_EVENT_ON_HEADER, name, value};
    if (to.retry_after_s > 0 && client->on_event(&event) != ESP_OK)
        abort();
    return error == CERTLESS_OK || error == CERTLESS_HTTP_REFUSED ? 0 : -1;
}

int esp_http_client_get_status_code(esp_http_client_handle_t client)
{
    (void)client;
    return (int)to.status;
}

int esp_http_client_read_response(esp_http_client_handle_t client, char *buffer, int length)
{
    size_t got = 0;
    client->is_complete =
        cl_http_body(&client->http, (uint8_t *)buffer, (size_t)length, &got) == CERTLESS_OK;
    return (int)got;
}

bool esp_http_client_is_complete_data_received(esp_http_client_handle_t client)
{
    return client->is_complete;
}

esp_err_t esp_http_client_cleanup(esp_http_client_handle_t client)
{
    cl_http_close(&client->http);
    free(client);
    return ESP_OK;
}

/* --- the rest --- */

esp_err_t nvs_open(const char *name, nvs_open_mode_t mode, nvs_handle_t *handle)
{
    *handle = 1;
    return name != NULL && mode == NVS_READWRITE ? ESP_OK : ESP_FAIL;
}

esp_err_t nvs_get_blob(nvs_handle_t handle, const char *key, void *value, size_t *length)
{
    FILE *stored = fopen(file.path, "rb");
    (void)handle;
    (void)key;
    if (stored == NULL)
        return ESP_ERR_NVS_NOT_FOUND;
    *length = fread(value, 1, *length, stored);
    (void)fclose(stored);
    return ESP_OK;
}

esp_err_t nvs_set_blob(nvs_handle_t handle, const char *key, const void *value, size_t length)
{
    (void)handle;
    (void)key;
    return certless_file_save(&file, value, length) == 0 ? ESP_OK : ESP_FAIL;
}

esp_err_t nvs_commit(nvs_handle_t handle)
{
    return handle == 1 ? ESP_OK : ESP_FAIL;
}

esp_err_t nvs_flash_init(void)
{
    return ESP_OK;
}

esp_err_t esp_netif_init(void)
{
    return ESP_OK;
}

esp_err_t esp_event_loop_create_default(void)
{
    return ESP_OK;
}

esp_err_t example_connect(void)
{
    return ESP_OK;
}

esp_err_t example_configure_stdin_stdout(void)
{
    return ESP_OK;
}

int64_t esp_timer_get_time(void)
{
    return (int64_t)certless_now_ms() * 1000;
}

void esp_fill_random(void *buffer, size_t length)
{
    if (certless_random(NULL, buffer, length) != 0)
        abort();
}

void vTaskDelay(const TickType_t ticks)
{
    (void)printf("waits %lu ms\n", (unsigned long)ticks * 10);
    (void)fflush(stdout);
}

int main(int count, char **given)
{
    if (count != 4)
        return 2;
    to.host = given[1];
    to.port = given[2];
    file.path = given[3];
    app_main();
    return 0;
}
