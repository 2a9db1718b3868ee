// The service worker: it keeps every file of this version of the page, so that the page works without a connection.

const SITE = { version: "", files: [] }; // `trm site` fills it in

const PREFIX = `trm ${new URL("./", self.location).pathname} `; // other folders may hold other sites
const NAME = `${PREFIX}${SITE.version}`;

self.addEventListener("install", (event) => {
  // no-cache: what the browser has of it already is asked for again, and only fetched again if it has changed.
  const wanted = SITE.files.map((file) => new Request(new URL(file, self.location), { cache: "no-cache" }));
  event.waitUntil(caches.open(NAME).then((cache) => cache.addAll(wanted)));
});

self.addEventListener("activate", (event) => {
  const forget = async () => {
    const names = await caches.keys();
    await Promise.all(names.filter((name) => name.startsWith(PREFIX) && name !== NAME).map((name) => caches.delete(name)));
    await self.clients.claim();
  };
  event.waitUntil(forget());
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || new URL(request.url).origin !== self.location.origin) return;
  const found = async () => (await (await caches.open(NAME)).match(request, { ignoreSearch: true })) ?? fetch(request);
  event.respondWith(found());
});
