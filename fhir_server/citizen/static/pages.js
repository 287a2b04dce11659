// Everything works without this file. It takes what a scanned link carries behind its # (which browsers never send)
// into the form, keeps a half-filled form on the server, and lets a phone show a page while there is no network.
(function () {
  "use strict";
  var form = document.querySelector("form[data-fragment]");
  var fragment = location.hash.slice(1);
  if (form && new RegExp(form.dataset.shape).test(fragment)) {
    // Neither the address bar nor the history keeps it.
    history.replaceState(null, "", location.pathname);
    form.elements[form.dataset.fragment].value = fragment;
    if (form.dataset.send) {
      var opening = document.getElementById("opening");
      if (opening) opening.hidden = false;
      form.submit();
    }
  }

  // A facility's code that was scanned before the card: it is nobody's data, and waits until the record is open.
  try {
    var record = document.querySelector("[data-asked]");
    var waiting = (localStorage.getItem("facility") || "").split(" ");
    if (document.querySelector("form[data-send]") && /^[0-9A-Z]{8}$/.test(fragment)) {
      history.replaceState(null, "", location.pathname);
      localStorage.setItem("facility", fragment + " " + Date.now());
    } else if (record && waiting[0]) {
      localStorage.removeItem("facility");
      if (Date.now() - waiting[1] < 1800000) location.assign(record.dataset.asked + "#" + waiting[0]);
    }
  } catch (error) { /* This browser keeps nothing: the code can be scanned again, or typed. */ }

  var draft = document.querySelector("form[data-draft]");
  if (draft && window.fetch) {
    var changed = false;
    var keep = function () {
      if (!changed) return;
      changed = false;
      fetch(draft.dataset.draft, {
        method: "POST", body: new URLSearchParams(new FormData(draft)), credentials: "same-origin", keepalive: true,
      }).then(function (answer) {
        document.getElementById("kept").hidden = !answer.ok;
      }, function () { changed = true; });
    };
    draft.addEventListener("input", function () { changed = true; });
    draft.addEventListener("change", keep);
    draft.addEventListener("submit", function () { changed = false; });
    document.addEventListener("visibilitychange", keep);
    setInterval(keep, 10000);
  }

  // A page that the browser kept in memory is asked for again, so that "back" shows nothing after closing the record.
  window.addEventListener("pageshow", function (event) { if (event.persisted) location.reload(); });
  if ("serviceWorker" in navigator) navigator.serviceWorker.register("/worker.js").catch(function () {});
})();
