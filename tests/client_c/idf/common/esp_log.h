#pragma once
#include <stdio.h>
#define ESP_LOGI(tag, format, ...) (void)printf("I %s: " format "\n", tag, __VA_ARGS__)
#define ESP_LOGW(tag, format, ...) (void)printf("W %s: " format "\n", tag, __VA_ARGS__)
#define ESP_LOGE(tag, format, ...) (void)printf("E %s: " format "\n", tag, __VA_ARGS__)
