-- Patches as the chat shows them: a list of files, from what events and saved calls say. Pure.

local words = require('codex.chat.words')

local M = {}

---@class codex.chat.PatchedFile
---@field path string
---@field verb 'add'|'edit'|'delete'|'move'
---@field to string? where a file is moved to
---@field diff string[]
---@field added integer
---@field removed integer

---@param file codex.chat.PatchedFile
---@return codex.chat.PatchedFile
local function counted(file)
  file.added, file.removed = 0, 0
  for _, line in ipairs(file.diff) do
    if line:find('^%+') then
      file.added = file.added + 1
    elseif line:find('^%-') then
      file.removed = file.removed + 1
    end
  end
  return file
end

---@param diff string
---@return string[]
local function hunks(diff)
  local lines = words.lines((diff:gsub('\n$', '')))
  -- The names are told in the heading already.
  while lines[1] and (lines[1]:find('^%-%-%- ') or lines[1]:find('^%+%+%+ ')) do
    table.remove(lines, 1)
  end
  return lines
end

--- Of an event: changes by path.
---@param changes table<string, any>
---@return codex.chat.PatchedFile[]
function M.of_changes(changes)
  local files = {}
  for path, change in vim.spairs(changes or {}) do
    if change == 'delete' then
      table.insert(files, counted({ path = path, verb = 'delete', diff = {} }))
    elseif change.add then
      local lines = words.lines((change.add.content:gsub('\n$', '')))
      for i, line in ipairs(lines) do
        lines[i] = '+' .. line
      end
      table.insert(files, counted({ path = path, verb = 'add', diff = lines }))
    elseif change.update then
      local to = change.update.move_path
      to = type(to) == 'string' and to or nil
      table.insert(
        files,
        counted({
          path = path,
          verb = to and 'move' or 'edit',
          to = to,
          diff = hunks(change.update.unified_diff or ''),
        })
      )
    end
  end
  return files
end

local VERBS = { Add = 'add', Update = 'edit', Delete = 'delete' }

--- Of a saved call: the text of an `apply_patch`.
---@param patch string
---@return codex.chat.PatchedFile[]
function M.of_text(patch)
  local files, file = {}, nil
  for _, line in ipairs(words.lines(patch)) do
    local verb, path = line:match('^%*%*%* (%u%l+) File: (.+)$')
    local to = line:match('^%*%*%* Move to: (.+)$')
    if VERBS[verb] then
      file = { path = vim.trim(path), verb = VERBS[verb], diff = {} }
      table.insert(files, file)
    elseif file and to then
      file.verb, file.to = 'move', vim.trim(to)
    elseif file and not vim.startswith(line, '*** ') then
      table.insert(file.diff, line)
    end
  end
  for _, patched in ipairs(files) do
    counted(patched)
  end
  return files
end

--- The line of the changed file that a line of a diff is about; nil if the diff does not say.
---@param diff string[]
---@param index integer the line of the diff, from 1
---@return integer? line from 1
function M.line_of(diff, index)
  local line
  for i = 1, math.min(index, #diff) do
    local start = diff[i]:match('^@@ %-%d+,?%d* %+(%d+)')
    if start then
      line = tonumber(start) - 1
    elseif line and not diff[i]:find('^[-\\]') then
      line = line + 1
    end
  end
  return line and math.max(line, 1)
end

return M
