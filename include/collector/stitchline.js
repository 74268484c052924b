/* <script src="https://COLLECTOR/stitchline.js" data-key="WRITE KEY" async></script> */
((w, d, s, n, l) => {
  const to = new URL("/v1/", s.src).href;
  const random = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), b => (b + 256).toString(16).slice(1)).join("");
  const kept = (name, value) => {
    try {
      if (value) localStorage[name] = value;
      return localStorage[name] || value;
    } catch (e) {
      return value;
    }
  };
  const id = kept("stitchline_id") || kept("stitchline_id", random());
  let user = kept("stitchline_user");
  const send = (type, more) => {
    const at = new Date().toISOString();
    const page = { url: l.href, path: l.pathname, search: l.search, title: d.title, referrer: d.referrer };
    const text = JSON.stringify({
      writeKey: s.dataset.key, type, messageId: random(), anonymousId: id, userId: user, timestamp: at, sentAt: at,
      context: { page, userAgent: n.userAgent }, ...more
    });
    if (!n.sendBeacon(to + type, text)) fetch(to + type, { method: "POST", body: text, keepalive: true });
  };
  const tag = a => {
    const at = a.href ? "href" : "data-url";
    try {
      const u = new URL(a.getAttribute(at), d.baseURI);
      if (!/(^|\.)calendly\.com$/.test(u.hostname)) return;
      u.searchParams.set("utm_term", id);
      a.setAttribute(at, u.href);
    } catch (e) {} // no address
  };
  const tagAll = () => d.querySelectorAll("a[href*=calendly],[data-url*=calendly]").forEach(tag);
  d.addEventListener("click", e => {
    const a = e.target.closest("a[href]");
    if (a) tag(a);
  }, true);
  d.addEventListener("DOMContentLoaded", tagAll);
  tagAll();
  w.stitchline = {
    id,
    page: (name, properties) => send("page", { name, properties }),
    track: (event, properties) => send("track", { event, properties }),
    identify: (userId, traits) => { user = kept("stitchline_user", userId); send("identify", { traits }); }
  };
  w.stitchline.page();
})(window, document, document.currentScript, navigator, location);
