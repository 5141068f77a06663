// Azurite holds tables and queues in memory and writes them to the disk every five seconds, so a kill takes
// the last seconds with it: finished runs would be running again, which nothing in Azure ever brings about.
// Loaded before Azurite, this has them written right after a change instead. Everything else waits while
// they are serialized, so a pause follows that is many times as long, of five seconds at most, as Azurite's own.
"use strict";

const Loki = require("lokijs");

const SHORTEST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 5000;
const PAUSE_PER_SAVE = 10;

Loki.prototype.autosaveEnable = function () {
  const lookAfter = (ms) => {
    this.autosaveHandle = setTimeout(look, ms);
  };
  const look = () => {
    if (!this.autosaveDirty()) {
      lookAfter(SHORTEST_PAUSE_MS);
      return;
    }
    let pause = LONGEST_PAUSE_MS;
    const began = performance.now();
    this.saveDatabase((error) => {
      if (error) throw error;
      // Set to null by autosaveDisable, when Azurite ends.
      if (this.autosaveHandle !== null) lookAfter(pause);
    });
    const wanted = PAUSE_PER_SAVE * (performance.now() - began);
    pause = Math.min(Math.max(wanted, SHORTEST_PAUSE_MS), LONGEST_PAUSE_MS);
  };
  this.autosave = true;
  lookAfter(SHORTEST_PAUSE_MS);
};
