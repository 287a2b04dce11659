// The offline shell: one page without anybody's data, and what it looks like. No other answer is ever kept.
var SHELL = "shell-1";
var PAGE = "/q/offline";
var FILES = [PAGE, "/c/static/pages.css", "/c/static/icon.svg"];

self.addEventListener("install", function (event) {
  event.waitUntil(caches.open(SHELL).then(function (cache) { return cache.addAll(FILES); }).then(self.skipWaiting()));
});
self.addEventListener("activate", function (event) {
  event.waitUntil(caches.keys().then(function (names) {
    return Promise.all(names.filter(function (name) { return name !== SHELL; }).map(function (name) {
      return caches.delete(name);
    }));
  }));
});
self.addEventListener("fetch", function (event) {
  if (event.request.method !== "GET") return;
  var path = new URL(event.request.url).pathname;
  if (event.request.mode === "navigate") {
    event.respondWith(fetch(event.request).catch(function () { return caches.match(PAGE); }));
  } else if (FILES.indexOf(path) > 0) {
    event.respondWith(fetch(event.request).catch(function () { return caches.match(event.request); }));
  }
});
