// The page works without this file: it lets a file be dropped anywhere on the form.
(function () {
  "use strict";
  var form = document.querySelector("form[data-drop]");
  if (!form) return;
  form.addEventListener("dragover", function (event) { event.preventDefault(); });
  form.addEventListener("drop", function (event) {
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    form.elements.file.files = event.dataTransfer.files;
  });
})();
