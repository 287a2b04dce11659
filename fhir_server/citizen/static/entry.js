// Takes the token out of the address of a scanned card (the part after #, which is never sent) and posts it.
(function () {
  var form = document.getElementById("entry");
  var token = location.hash.slice(1);
  if (!form || !/^[A-Za-z0-9_-]{22}$/.test(token)) return;
  // Neither the address bar nor the history keeps the token.
  history.replaceState(null, "", location.pathname);
  document.getElementById("code").value = token;
  document.getElementById("opening").hidden = false;
  form.submit();
})();
